//! Seeded networks of whole nodes in virtual time
