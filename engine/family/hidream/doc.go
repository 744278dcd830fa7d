// Package hidream is the family of HiDream.
package hidream
