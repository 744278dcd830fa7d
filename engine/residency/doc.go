// Package residency keeps what models need ready and within memory: open weight files, weights in the forms that graphs
// want, and sessions. Sessions are kept per device under a typed key and evicted, least recently used first, when a new
// one or a run needs room. When the runtime runs out of memory all idle sessions are evicted and the run is tried once
// more.
//
// It knows graphs, weight sources and ONNX Runtime, but no model family and no meaning of a graph.
package residency
