// Package newcomer follows a new user from a release archive to the first image; see newcomer_test.go.
package newcomer
