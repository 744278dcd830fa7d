// Package hostile holds the tests that send the server what an attacker would: every route that it
// has, asked from the server itself, with broken, giant and lying requests.
//
// The package has no code of its own. The tests run the whole program in their own process, on a TCP socket, so that
// they see data races, leaked goroutines and what was written outside the server's folders.
package hostile
