// Package anima is the family of Anima.
package anima
