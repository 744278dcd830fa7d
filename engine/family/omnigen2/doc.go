// Package omnigen2 is the family of OmniGen 2.
package omnigen2
