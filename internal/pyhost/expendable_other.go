//go:build !linux

package pyhost

func expendable(int) {}
