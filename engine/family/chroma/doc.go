// Package chroma is the family of Chroma.
package chroma
