// Package krea2 is the family of Krea 2.
package krea2
