package glsl

import (
	"fmt"
	"regexp"
	"strings"
)

// preamble are the directives that must come before all else in a source.
var preamble = regexp.MustCompile(`(?m)^[ \t]*#[ \t]*(?:version|extension)\b.*$`)

// precise gives samplers full precision unless the source sets another one. Their default, lowp, makes some drivers round samples
// to 16 bits. Lines keep their numbers.
func precise(source string) string {
	places := preamble.FindAllStringIndex(source, -1)
	if len(places) == 0 {
		return source
	}
	end := places[len(places)-1][1]
	rest := source[end:]
	if !strings.HasPrefix(rest, "\n") {
		return source
	}
	line := strings.Count(source[:end], "\n") + 2
	return source[:end] + fmt.Sprintf("\nprecision highp sampler2D;\n#line %d", line) + rest
}
