/* The version that configure found in docs/version (config.h). */
#ifndef VMM_VERSION_H
#define VMM_VERSION_H

#ifndef VIREO_VERSION
#define VIREO_VERSION "unknown"
#endif

#endif
