// Package browser drives the built server's pages in a real browser: Debian's Chromium, without a window.
//
// A test package calls Main from its TestMain, and each test starts its own server with Start and opens pages on it
// with Open. All tests of a package share one browser process; every page has a profile of its own, so that storage
// and cookies never pass from test to test. What a page logs, throws or fails to load is kept and judged with
// Page.Clean; images go to artefacts/<test>/<name>.png beside this package, which git ignores.
//
// Where no Chromium is installed the tests are skipped, and `make test` says so in its last lines.
//
// The package knows nothing of any page: what is clicked and expected stands in the tests.
package browser
