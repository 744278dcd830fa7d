package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

func joinWords(words []string) string { return strings.Join(words, " ") }

// ignored lists the flags of a reading that change nothing here.
func ignored(r reading) []string {
	var names []string
	for _, s := range r.settings {
		if s.spec.ignored {
			names = append(names, s.spec.name)
		}
	}
	return names
}

// masked is the command line without the keys it holds.
func masked(words []string) []string {
	out := make([]string, 0, len(words))
	hide := false
	for _, w := range words {
		name, _, glued := strings.Cut(w, "=")
		secret := isSecret(name)
		switch {
		case hide:
			w = "***"
		case secret && glued:
			w = name + "=***"
		case strings.Contains(w, "://") && strings.Contains(w, "@"):
			w = withoutSecrets(w)
		}
		hide = secret && !glued
		out = append(out, w)
	}
	return out
}

// isSecret reports whether a word is a flag whose value must not be shown, or a prefix of one.
func isSecret(name string) bool {
	return len(name) > len("--a") && strings.HasPrefix("--api-key", name)
}

// featureFlag describes a feature that launchers may switch by --feature-flag.
type featureFlag struct {
	Type        string `json:"type"`
	Default     bool   `json:"default"`
	Description string `json:"description"`
}

// writeFeatureFlags prints the known feature flags for --list-feature-flags.
func writeFeatureFlags(w io.Writer) error {
	known := struct {
		SignIn    featureFlag `json:"show_signin_button"`
		Telemetry featureFlag `json:"enable_telemetry"`
	}{
		featureFlag{Type: "bool", Description: "Show the frontend's sign-in button to those who are not signed in"},
		featureFlag{Type: "bool", Description: "Tell the frontend that telemetry may be collected"},
	}
	text, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return fmt.Errorf("printing the feature flags: %w", err)
	}
	_, err = fmt.Fprintln(w, string(text))
	return err
}
