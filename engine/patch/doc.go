// Package patch reads LoRA files and other adapters of weights, and makes them part of a model: low-rank ones as branches
// beside the weights of a graph (nn.Adapters), the others as entries that are computed while they are read.
//
// A file is matched with a model by a KeyMap, in which the model's family maps the names in such files to weights. The
// package knows the spellings and the methods of adapter files; it does not know model families, sessions or nodes.
package patch
