// Package python makes node classes of what the Python host has: classes of node packs, and of a ComfyUI checkout those that
// comfygo does not have itself.
//
// Values that Python makes stay there; nodes see handles. A handle is turned into a value of this program when one of its own
// classes takes it. Tensors, latents, conditioning and audio go to Python as tensors. A model of this program is made again in Python from
// the nodes that made it here (replay).
package python
