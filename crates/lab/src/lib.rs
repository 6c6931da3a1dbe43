//! Networks in namespaces: topologies, emulated cables and outage meters for the demo, the tests and the bench
