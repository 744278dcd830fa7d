package pyhost

import (
	"os"
	"strconv"
)

// expendable has a system that runs out of memory end the process before the server.
func expendable(pid int) {
	const score = "500"                                                             // of 1000
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte(score), 0) //nolint:gosec // a file of the kernel; without it nothing is lost
}
