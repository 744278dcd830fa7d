package reply

import (
	"net/url"
	"strings"
)

// QuotedPath is Python's quote, which leaves slashes alone.
func QuotedPath(s string) string { return strings.ReplaceAll(Quoted(s), "%2F", "/") }

// Quoted is Python's quote with nothing safe but letters, digits and -._~.
func Quoted(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
