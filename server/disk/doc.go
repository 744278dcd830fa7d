// Package disk reads, writes and sends files whose names come from clients, without following links out of the folders that
// are served.
package disk
