//! Real daemons in real namespaces
