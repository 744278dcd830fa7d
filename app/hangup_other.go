//go:build !unix

package app

import "os"

// hangups returns a channel without events: this system has no SIGHUP.
func hangups() (signals <-chan os.Signal, stop func()) { return nil, func() {} }
