// Package hunyuanimage is the family of HunyuanImage 2.1.
package hunyuanimage
