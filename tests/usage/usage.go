// Package usage reports the resources that a benchmark's process has used.
package usage
