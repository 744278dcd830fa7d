// Package metrics keeps the program's metrics for Prometheus.
//
// Other packages report events through its methods, or are queried when the metrics are read: Sources holds the functions for that. No
// label contains text from a client: routes are the router's patterns, never paths. The package must not know queues, nodes, models or the
// server.
package metrics
