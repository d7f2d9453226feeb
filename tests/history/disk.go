package main

import (
	"bytes"
	numbers "encoding/binary"
	"os"
	"strings"
)

// A disk fails on command: tests/crash/disk_shim.c lies between the server and its files, and maps the control file.
type disk struct{ shim, control, folder string }

// What control says, as the shim reads it; faulty_disk.py has the same.
type diskOrder struct {
	Armed, Operations uint32
	Result            int32 // an errno, or torn
	Skip, Count       uint32
	Passed, Failed    uint32
	Folder            [256]byte
	Pattern           [100]byte
}

const (
	diskWrite = 2
	diskSync  = 4
	torn      = -1 // a part is written, then the process is killed
)

func newDisk(shim, folder string) (*disk, error) {
	d := &disk{shim: shim, control: folder + ".disk-control", folder: folder}
	return d, os.WriteFile(d.control, make([]byte, numbers.Size(diskOrder{})), 0o644)
}

// environment of the next life, with what else is preloaded behind it.
func (d *disk) environment(others []string) (list []string) {
	preload := d.shim
	for _, one := range others {
		if strings.HasPrefix(one, "LD_PRELOAD=") {
			preload += ":" + strings.TrimPrefix(one, "LD_PRELOAD=")
		} else {
			list = append(list, one)
		}
	}
	return append(list, "LD_PRELOAD="+preload, "DISK_CONTROL="+d.control)
}

// put writes into the mapped file: the first word last, so that the shim sees all of an order or none.
func (d *disk) put(order diskOrder) error {
	var text bytes.Buffer
	numbers.Write(&text, numbers.LittleEndian, order)
	file, err := os.OpenFile(d.control, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteAt(make([]byte, 4), 0); err != nil {
		return err
	}
	if _, err := file.WriteAt(text.Bytes()[4:], 4); err != nil {
		return err
	}
	_, err = file.WriteAt(text.Bytes()[:4], 0)
	return err
}

// failLog: of the calls on files of RocksDB's log that are meant, so many fail after the first skip.
func (d *disk) failLog(operations uint32, result int32, skip, count int) error {
	order := diskOrder{Armed: 1, Operations: operations, Result: result, Skip: uint32(skip), Count: uint32(count)}
	copy(order.Folder[:], d.folder)
	copy(order.Pattern[:], "*.log")
	return d.put(order)
}

func (d *disk) work() error { return d.put(diskOrder{}) }
