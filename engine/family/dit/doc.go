// Package dit holds what the families of diffusion transformers share: patches and positions computed on the host, layers
// of their graphs, and the layout of diffusers. It registers no family itself.
package dit
