package cli

import (
	"slices"
	"strings"
)

// meant suggests a word for a mistyped one, or "" if none is similar.
func meant(word string, known []string) string {
	best, least := "", len(word)/3+2
	for _, k := range known {
		if d := distance(word, k, least); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}

// distance returns the number of letters to insert, delete or replace to turn a into b; at least limit if it is not
// less.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// flagWords are the names of all flags of the server.
func flagWords() []string {
	var names []string
	for _, s := range slices.Concat(upstream, own) {
		names = append(names, s.name)
	}
	return names
}

// wordsHint returns advice about words that belong to no flag.
func wordsHint(cmd *command, words []string) string {
	var flag string
	for _, w := range words {
		if strings.HasPrefix(w, "-") {
			flag, _, _ = strings.Cut(w, "=")
			break
		}
	}
	switch known := flagWords(); {
	case flag != "":
		if cmd != nil {
			for _, s := range cmd.flags {
				known = append(known, s.name)
			}
		}
		return meant(flag, known)
	case cmd == nil && slices.Contains(commandNames(), words[0]):
		return "a command stands first: " + program + " " + words[0] + " …"
	}
	return ""
}
