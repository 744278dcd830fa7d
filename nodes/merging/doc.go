// Package merging holds the nodes that mix the weights of models and write models to files (upstream:
// comfy_extras/nodes_model_merging.py and others).
//
// A merged model computes nothing before it runs or is saved.
package merging
