package pyhost

import (
	"os"
	"os/exec"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

// family is the Python process with what packs have started: a job object, which ends with this program, too.
type family struct {
	cmd *exec.Cmd

	mu  sync.Mutex
	job windows.Handle // 0 without one
}

func newFamily(cmd *exec.Cmd) *family { return &family{cmd: cmd} }

// started puts the process into its job. What a pack starts is in it from then on. Without a job only the process itself can be ended.
func (f *family) started() {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err == nil {
		err = f.assign(job)
	}
	if err != nil {
		_ = windows.CloseHandle(job) // it holds nothing
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.job = job
}

func (f *family) assign(job windows.Handle) error {
	process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(f.cmd.Process.Pid)) //nolint:gosec // a process's number
	if err != nil {
		return err
	}
	defer func() { _ = windows.CloseHandle(process) }()
	return windows.AssignProcessToJobObject(job, process)
}

// kill ends the process and its children.
func (f *family) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.job != 0 {
		_ = windows.TerminateJobObject(f.job, 1) // gone already is as good
	}
	if f.cmd.Process != nil {
		_ = f.cmd.Process.Kill() // likewise
	}
}

// release gives the job back; what is left in it ends.
func (f *family) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.job != 0 {
		_ = windows.CloseHandle(f.job) // nothing is done with it any more
		f.job = 0
	}
}

func (u *User) as(*exec.Cmd) {}

// alive reports whether there is a process of that number.
func alive(pid int) bool {
	p, err := os.FindProcess(pid) // which opens it
	if err != nil {
		return false
	}
	_ = p.Release()
	return true
}

const openFlags = 0
