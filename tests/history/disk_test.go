package main

import (
	numbers "encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestOrdersToTheDiskAreWhatTheShimReads(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	d, err := newDisk("shim.so", folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.failLog(diskSync, torn, 7, 2); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(d.control)
	if err != nil || len(text) != 7*4+256+100 {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	var words [7]uint32
	for i := range words {
		words[i] = numbers.LittleEndian.Uint32(text[4*i:])
	}
	if words != [7]uint32{1, diskSync, 0xffffffff, 7, 2, 0, 0} || !strings.HasPrefix(string(text[28:]), folder+"\x00") || !strings.HasPrefix(string(text[28+256:]), "*.log\x00") {
		t.Errorf("%v %q", words, text[28:])
	}
	if err := d.work(); err != nil {
		t.Fatal(err)
	}
	if text, _ = os.ReadFile(d.control); numbers.LittleEndian.Uint32(text) != 0 {
		t.Error("it is armed still")
	}
}

func TestTheDiskLiesBeforeTheOneThatLosesPower(t *testing.T) {
	d := &disk{shim: "disk.so", control: "control"}
	found := d.environment([]string{"POWER_LOG=x", "LD_PRELOAD=power.so"})
	if !reflect.DeepEqual(found, []string{"POWER_LOG=x", "LD_PRELOAD=disk.so:power.so", "DISK_CONTROL=control"}) {
		t.Error(found)
	}
	if found = d.environment(nil); !reflect.DeepEqual(found, []string{"LD_PRELOAD=disk.so", "DISK_CONTROL=control"}) {
		t.Error(found)
	}
}
