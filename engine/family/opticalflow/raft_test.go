package opticalflow_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

func frame(name string) *tensor.Tensor {
	x := golden.Normal("raft/"+name, 1, 3, 128, 136)
	for i, v := range x.Data {
		x.Data[i] = min(max(v*0.2+0.5, 0), 1)
	}
	return x
}

// TestEqualsUpstream compares the flow after twelve rounds, each of which reads the places that the round before found; sums in another order make a
// difference below 1e-5 by then.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/raft", "raft")
	n, err := family.Open(family.Default, src).OpticalFlow()
	if err != nil {
		t.Fatal(err)
	}
	var frames [2][]*tensor.Tensor
	for i, name := range []string{"first", "second"} {
		if frames[i], err = n.Prepare(t.Context(), familytest.Runner{}, frame(name)); err != nil {
			t.Fatal(err)
		}
	}
	flow, err := n.Flow(t.Context(), familytest.Runner{}, frames[0], frames[1])
	if err != nil {
		t.Fatal(err)
	}
	flow.Shape = flow.Shape[1:]
	familytest.CompareEvery(t, stored, "flow_s17", flow, []int{2, 128, 136}, 17, golden.Tolerance{RMSRel: 1e-5})
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/raft", "raft")
	familytest.CheckCUDA(t, src, 1)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/raft", "raft")
	n, err := family.Open(family.Default, src).OpticalFlow()
	if err != nil {
		t.Fatal(err)
	}
	if small, large := n.Memory(128, 128), n.Memory(512, 512); small <= 0 || large < 8*small {
		t.Errorf("%d bytes, %d for sixteen times as many pixels", small, large)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/raft", "raft")
	n, err := family.Open(family.Default, src).OpticalFlow()
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range [][]int{{1, 3, 120, 128}, {1, 3, 128, 130}, {2, 3, 128, 128}, {1, 4, 128, 128}, {3, 128, 128}} {
		if _, err := n.Prepare(t.Context(), familytest.Runner{}, tensor.New(shape...)); err == nil || !strings.Contains(err.Error(), "128 pixels") {
			t.Errorf("%v: %v", shape, err)
		}
	}
	for list, want := range map[string]string{
		"feature_encoder.conv.weight 2 2 1 1\ncontext_encoder.conv.weight 4 2 1 1\nupdate_block.recurrent_block.convgru1.convz.weight 2 2 1 1\n": "raft_large",
		"feature_encoder.conv.weight 2 2 1 1\n": "optical flow model",
	} {
		if _, err := family.Open(family.Default, dryrun.List(list)).OpticalFlow(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", list, err)
		}
	}
}
