// Package imaging holds the image arithmetic of the program: loading image files, previews and masks, 8 bits to tensors
// and back, and resampling that gives the numbers of Pillow and torch.
//
// It works on bytes and tensors. It must not know of nodes, folders, prompts or HTTP.
package imaging
