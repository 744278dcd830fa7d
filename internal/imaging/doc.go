// Package imaging holds the picture arithmetic of the program: reading and writing picture files, 8 bits to tensors
// and back, and resampling that gives the numbers of Pillow and torch.
//
// It works on bytes and tensors. It must not know of nodes, folders, prompts or HTTP.
package imaging
