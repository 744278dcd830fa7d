//go:build !unix

package app

import "os"

// hangups delivers nothing: there is no SIGHUP here.
func hangups() (signals <-chan os.Signal, stop func()) { return nil, func() {} }
