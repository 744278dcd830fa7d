// Package disk reads, writes and sends files with names from clients, without following links out of the served folders.
package disk
