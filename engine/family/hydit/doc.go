// Package hydit is the family of Hunyuan-DiT: blocks with long skip connections, which read the encodings of a Chinese BERT
// and of mT5 side by side.
package hydit
