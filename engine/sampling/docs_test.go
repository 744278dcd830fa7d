package sampling_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"comfygo/engine/sampling"
)

// TestDocsTellTheTruth compares the table of samplers in docs with the list of samplers and with the predictions that each makes.
func TestDocsTellTheTruth(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/sampling.md")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]int{"n": tableSteps, "2n-1": 2*tableSteps - 1, "3n-2": 3*tableSteps - 2, "3n-3": 3*tableSteps - 3}
	var names []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| .* \\| (\\d) \\| [^|]* \\| ([^|]*) \\|$").FindAllStringSubmatch(string(text), -1) {
		name, want := row[1], calls[row[3]]
		names = append(names, name)
		s, err := sampling.NewSampler(name)
		if err != nil {
			t.Error(err)
			continue
		}
		net := &probe{}
		p, sigmas := tableRun(t, net)
		if _, _, err := sampling.SampleWith(t.Context(), p, s, sigmas); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := len(net.shapes); want > 0 && got != want || want == 0 && (name != "dpm_adaptive" || got%3 != 0) {
			t.Errorf("%s makes %d predictions in %d steps; the table says %s", name, got, tableSteps, row[3])
		}
	}
	if !slices.Equal(names, sampling.SamplerNames()) {
		t.Errorf("the table lists %v, the program has %v", names, sampling.SamplerNames())
	}
}
