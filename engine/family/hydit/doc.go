// Package hydit is the family of Hunyuan-DiT.
package hydit
