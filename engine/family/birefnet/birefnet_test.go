package birefnet_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// read returns the network of a file.
func read(t *testing.T, src weights.Source) family.BackgroundNetwork {
	t.Helper()
	n, err := family.Open(family.Default, src).Background()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestEqualsUpstream compares the logits of a small network. Places of deformable convolutions are differences of float32 values about 1, so that
// they are right to about 1e-5 of a pixel: 2e-5 of the logits' size is allowed.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/small", "birefnet")
	n := read(t, src)
	x := golden.Normal("birefnet/x", 1, 3, 96, 96)
	for i, v := range x.Data {
		x.Data[i] = min(max(v/6+0.5, 0), 1)
	}
	y, err := n.Foreground(t.Context(), familytest.Runner{}, x)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "logits", y, golden.Tolerance{RMSRel: 2e-5})
	if n.Side() != 1024 || n.Memory(1024) <= n.Memory(512) || n.Memory(512) <= 0 {
		t.Errorf("%d pixels, %d bytes, %d for half", n.Side(), n.Memory(1024), n.Memory(512))
	}
	familytest.CheckCUDA(t, src, 1)
}

// TestDetection passes near misses, and images that the network does not take.
func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/small", "birefnet")
	d := family.Open(family.Default, src).Describe()
	if d.Family != "BiRefNet" || !d.Runs || len(d.Kinds) != 1 || d.Kinds[0] != "background removal model" {
		t.Errorf("%+v", d)
	}
	for name, c := range map[string]struct {
		src  weights.Source
		want string
	}{
		"no windows":      {familytest.Without(src, "relative_position_bias_table"), "holds no background removal model"},
		"no norm":         {familytest.Without(src, "bb.norm2."), "bb.norm2.weight is []"},
		"no decoder":      {familytest.Without(src, "decoder.ipt_blk1"), "decoder.ipt_blk1.conv1.weight has the shape []"},
		"another network": {dryrun.List("feature_encoder.conv.weight 2 2 1 1\n"), "holds no background removal model"},
		"a huge window":   {dryrun.List("bb.layers.1.blocks.0.attn.relative_position_bias_table 4 4\nbb.norm0.weight 4\nbb.layers.0.blocks.0.attn.relative_position_bias_table 9000001 2\n"), "no square of the distances in a window"},
		"a wide window":   {dryrun.List("bb.layers.1.blocks.0.attn.relative_position_bias_table 4 4\nbb.norm0.weight 4\nbb.layers.0.blocks.0.attn.relative_position_bias_table 2401 2\n"), "a window of 2 to 24 cells"},
		"no heads":        {dryrun.List("bb.layers.1.blocks.0.attn.relative_position_bias_table 4 4\nbb.norm0.weight 4\nbb.layers.0.blocks.0.attn.relative_position_bias_table 9 3\n"), "heads that divide it"},
	} {
		if _, err := family.Open(family.Default, c.src).Background(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, shape := range [][]int{{0, 1, 1 << 31, 1 << 31}, {1, 1, 2, 2}, {1, 1, 3, 1}, {1, 1, 33, 33}} {
		const name = "decoder.decoder_block4.dec_att.aspp1.atrous_conv.regular_conv.weight"
		var list []weights.Entry
		for _, n := range src.Names() {
			e, _ := src.Lookup(n)
			if n == name {
				e.Shape, e.Data = shape, nil
			}
			list = append(list, e)
		}
		if _, err := family.Open(family.Default, dryrun.Described(list)).Background(); err == nil || !strings.Contains(err.Error(), "wanted a square kernel") {
			t.Errorf("a kernel of %v: %v", shape, err)
		}
	}
	_, err := read(t, familytest.Without(src, "dec_att.aspp1")).Foreground(t.Context(), familytest.Runner{}, tensor.New(1, 3, 64, 64))
	if err == nil || !strings.Contains(err.Error(), "dec_att.aspp1.atrous_conv.offset_conv.weight") {
		t.Errorf("a missing layer: %v", err)
	}
	for _, shape := range [][]int{{1, 3, 64, 96}, {2, 3, 64, 64}, {1, 4, 64, 64}, {1, 3, 32, 32}, {1, 3, 100, 100}, {3, 64, 64}} {
		if _, err := read(t, src).Foreground(t.Context(), familytest.Runner{}, tensor.New(shape...)); err == nil || !strings.Contains(err.Error(), "multiple of 32") {
			t.Errorf("%v: %v", shape, err)
		}
	}
}
