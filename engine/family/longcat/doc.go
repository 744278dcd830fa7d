// Package longcat is the family of LongCat-Image.
package longcat
