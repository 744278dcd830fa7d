// Package tests drives the built program from outside: a real process, real HTTP, a real WebSocket.
//
// Workflows, expected images and expected errors are data files below testdata, so that a new case
// needs no Go. The tests know the public API only.
package tests
