// Package dit contains the shared parts of the families of diffusion transformers: patches and positions computed on the
// host, layers of their graphs, and the layout of diffusers. It registers no family itself.
package dit
