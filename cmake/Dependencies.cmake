# Everything comes from Debian's packages, but LibTorch and MuJoCo: those come from Python packages in
# .venv, or from wherever TANDEM_TORCH_DIR and TANDEM_MUJOCO_DIR point. LibTorch is found last, and
# only the libraries that the design lets see it link it: its include folder holds an old copy of
# protobuf's headers.
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)  # Debian ships no config file: CMake's own module
find_package(absl CONFIG REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(nlohmann_json REQUIRED)
find_library(TANDEM_XXHASH_LIBRARY xxhash REQUIRED)
if(TANDEM_BUILD_TESTS)
  find_package(GTest CONFIG REQUIRED)
  find_package(rapidcheck CONFIG REQUIRED)
endif()

# gRPC's reflection is in Debian's package without an imported target of its own in some versions.
if(NOT TARGET gRPC::grpc++_reflection)
  find_library(TANDEM_GRPC_REFLECTION grpc++_reflection REQUIRED)
  add_library(gRPC::grpc++_reflection UNKNOWN IMPORTED)
  set_target_properties(gRPC::grpc++_reflection PROPERTIES
    IMPORTED_LOCATION ${TANDEM_GRPC_REFLECTION} INTERFACE_LINK_LIBRARIES gRPC::grpc++)
endif()

find_package(MuJoCo REQUIRED)
find_package(LibTorch REQUIRED)
