package glsl

import (
	"regexp"
	"strings"
)

// position is the beginning of drivers' messages: Mesa with 0:12(5): error:, ANGLE with ERROR: 0:12:, NVIDIA with 0(12) :
// error.
var position = regexp.MustCompile(`^(?:ERROR: |WARNING: )?\d+[:(](\d+)\)?(?:\(\d+\))?\s*:\s*(?:error:?\s*|warning:?\s*)?`)

// logText is a driver's log with the lines of the source named as such.
func logText(log string) string {
	var lines []string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if m := position.FindStringSubmatch(line); m != nil {
			line = strings.TrimSpace("line " + m[1] + ": " + line[len(m[0]):])
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return "the driver does not say why"
	}
	return strings.Join(lines, "\n")
}
