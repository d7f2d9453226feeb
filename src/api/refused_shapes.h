/* The requests of what is not offered. Written by scripts/refused-shapes. */
#ifndef STATOR_API_REFUSED_SHAPES_H
#define STATOR_API_REFUSED_SHAPES_H

#include "api/shape.h"

extern const struct shape refused_CreateBackup;
extern const struct shape refused_CreateGlobalTable;
extern const struct shape refused_DeleteBackup;
extern const struct shape refused_DescribeBackup;
extern const struct shape refused_DescribeExport;
extern const struct shape refused_DescribeGlobalTable;
extern const struct shape refused_DescribeGlobalTableSettings;
extern const struct shape refused_DescribeImport;
extern const struct shape refused_DescribeTableReplicaAutoScaling;
extern const struct shape refused_DisableKinesisStreamingDestination;
extern const struct shape refused_EnableKinesisStreamingDestination;
extern const struct shape refused_ExportTableToPointInTime;
extern const struct shape refused_ImportTable;
extern const struct shape refused_ListBackups;
extern const struct shape refused_ListExports;
extern const struct shape refused_ListGlobalTables;
extern const struct shape refused_ListImports;
extern const struct shape refused_RestoreTableFromBackup;
extern const struct shape refused_RestoreTableToPointInTime;
extern const struct shape refused_UpdateContinuousBackups;
extern const struct shape refused_UpdateGlobalTable;
extern const struct shape refused_UpdateGlobalTableSettings;
extern const struct shape refused_UpdateKinesisStreamingDestination;
extern const struct shape refused_UpdateTableReplicaAutoScaling;
/* of refused members */
extern const struct field refused_element_ReplicationGroupUpdateList;
extern const struct field refused_element_GlobalTableWitnessGroupUpdateList;

#endif
