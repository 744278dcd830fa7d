package browser_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"comfygo/tests/browser"
)

// A video of eight frames with a second of sound, and four seconds of sound, made without a model.
const mediaWorkflow = `{"prompt": {"1": {"class_type": "EmptyImage", "inputs": {"width": 96, "height": 64, "batch_size": 8, "color": 16711680}},
	"2": {"class_type": "EmptyAudio", "inputs": {"duration": 1.0, "sample_rate": 44100, "channels": 2}},
	"3": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8.0, "audio": ["2", 0]}},
	"4": {"class_type": "SaveVideo", "inputs": {"video": ["3", 0], "filename_prefix": "clip", "format": "mp4", "codec": "h264"}}}}`

const soundWorkflow = `{"prompt": {"1": {"class_type": "EmptyAudio", "inputs": {"duration": 4.0, "sample_rate": 44100, "channels": 2}},
	"2": {"class_type": "SaveAudio", "inputs": {"audio": ["1", 0], "filename_prefix": "sound"}}}}`

// TestAppMedia opens a video and a sound of the gallery: both play in the browser, and seek by ranges.
func TestAppMedia(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("NOT TESTED: ffmpeg is not installed")
	}
	s := browser.Start(t)
	for _, workflow := range []string{mediaWorkflow, soundWorkflow} {
		status, body := send(t, "POST", s.Base+"/prompt", "", workflow)
		var queued struct {
			ID string `json:"prompt_id"`
		}
		if err := json.Unmarshal([]byte(body), &queued); err != nil || status != http.StatusOK {
			t.Fatalf("queueing: %d %s", status, body)
		}
		for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			_, job := send(t, "GET", s.Base+"/api/jobs/"+queued.ID, "", "")
			var state struct {
				Status string `json:"status"`
			}
			if err := json.Unmarshal([]byte(job), &state); err == nil && state.Status == "completed" {
				break
			}
			if state.Status == "failed" || time.Now().After(end) {
				t.Fatalf("the job ends as %s", job)
			}
		}
	}
	p := browser.Open(t, s, "/app#/gallery")
	p.WaitFor("both are in the gallery", "document.querySelectorAll('.tile').length === 2")
	p.WaitFor("the video's tile has its first frame", "document.querySelector('.tile video')?.readyState >= 2")
	p.Shot("gallery")
	for _, c := range []struct {
		element, file string
		duration, to  float64 // seconds; Chromium cannot seek into the last frames of any FLAC file, FFmpeg's either
	}{{"video", "clip_00001_.mp4", 1, 0.75}, {"audio", "sound_00001.flac", 4, 2}} {
		p.Click(`.tile[aria-label^="` + c.file + `"]`)
		media := "document.querySelector('.lightbox " + c.element + "')"
		p.WaitFor("the "+c.element+" can play", media+"?.readyState >= 3")
		if got := browser.Eval[float64](p, media+".duration"); math.Abs(got-c.duration) > 0.2 {
			t.Errorf("%s lasts %v s, want %v", c.file, got, c.duration)
		}
		browser.Eval[any](p, "("+media+".muted = true, "+media+".play().then(() => 0), null)")
		p.WaitFor("it plays", media+".currentTime > 0")
		browser.Eval[any](p, fmt.Sprintf("(%s.pause(), %s.currentTime = %v, null)", media, media, c.to))
		p.WaitFor("it has found the place", "!"+media+".seeking")
		if at := browser.Eval[float64](p, media+".currentTime"); math.Abs(at-c.to) > 0.05 {
			t.Errorf("%s has gone to %v s, want %v", c.file, at, c.to)
		}
		p.Shot(c.element)
		browser.Eval[any](p, "(document.querySelector('.lightbox').close(), null)")
		p.WaitGone(".lightbox")
	}
	p.Clean()
}
