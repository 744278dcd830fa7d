// Package patch reads LoRA files and other adapters of weights, and makes them part of a model: low-rank ones as branches
// beside the weights of a graph (nn.Adapters), the others as entries that are computed while they are read.
//
// A file is matched with a model by a KeyMap, in which the model's family says what the names in such files stand for.
// The package knows the spellings and the methods that adapter files use; it knows no model family, no session and no
// node.
package patch
