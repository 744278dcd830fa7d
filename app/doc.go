// Package app puts the program together: it makes the folders, the engine, the executor, the queue
// and the server from one cli.Config, listens, and takes everything down again.
//
// It also holds what the commands run and doctor do. Wiring only: what the parts do is theirs.
package app
