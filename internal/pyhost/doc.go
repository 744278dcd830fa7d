// Package pyhost runs the Python process in which node packs live: it starts it, talks to it in framed messages over a Unix
// socket, ends it when it hangs and starts it again when it dies. docs/python-host.md describes the protocol.
//
// The package knows nothing of nodes, prompts or HTTP; what messages mean is for its users.
package pyhost
