// Package qwenimage is the family of Qwen-Image.
package qwenimage
