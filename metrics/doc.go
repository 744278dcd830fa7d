// Package metrics keeps the program's figures for Prometheus.
//
// Others report what happened by its methods, or are asked when the figures are read: Sources holds the functions for that. No label
// holds anything that a client has written: routes are the router's patterns, never paths. The package must not know queues, nodes, models
// or the server.
package metrics
