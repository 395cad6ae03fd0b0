# Finds LibTorch (>= 2.7) in the PyPI package `torch`, in its CPU or its CUDA build.
#   TANDEM_TORCH_DIR   folder that holds include/ and lib/ (default: asked of TANDEM_PYTHON)
# Makes tandem::torch. Torch's own CMake file is not used: it insists on a CUDA toolkit when the
# package is a CUDA build, although linking needs only the libraries inside the package.
if(NOT TANDEM_TORCH_DIR)
  execute_process(
    COMMAND ${TANDEM_PYTHON} -c
      "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))"
    OUTPUT_VARIABLE torch_dir OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
  if(NOT failed)
    set(TANDEM_TORCH_DIR ${torch_dir} CACHE PATH "Folder with LibTorch's include/ and lib/")
  endif()
endif()

find_path(TORCH_INCLUDE_DIR ATen/ATen.h PATHS ${TANDEM_TORCH_DIR}/include NO_DEFAULT_PATH)
foreach(part c10 torch_cpu torch)
  find_library(TORCH_${part}_LIBRARY ${part} PATHS ${TANDEM_TORCH_DIR}/lib NO_DEFAULT_PATH)
endforeach()
foreach(part c10_cuda torch_cuda)  # only in the CUDA build
  find_library(TORCH_${part}_LIBRARY ${part} PATHS ${TANDEM_TORCH_DIR}/lib NO_DEFAULT_PATH)
endforeach()
if(EXISTS ${TANDEM_TORCH_DIR}/include/torch/headeronly/version.h)
  set(torch_version_file ${TANDEM_TORCH_DIR}/include/torch/headeronly/version.h)
else()
  set(torch_version_file ${TANDEM_TORCH_DIR}/include/torch/csrc/api/include/torch/version.h)
endif()
if(EXISTS ${torch_version_file})
  file(STRINGS ${torch_version_file} version_lines REGEX "TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
  string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3"
    LibTorch_VERSION "${version_lines}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS TORCH_torch_cpu_LIBRARY TORCH_c10_LIBRARY TORCH_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "install the packages of packages/python.txt into .venv (./dev setup does it)")
if(LibTorch_VERSION AND LibTorch_VERSION VERSION_LESS 2.7)
  message(FATAL_ERROR "LibTorch ${LibTorch_VERSION} in ${TANDEM_TORCH_DIR} is too old: 2.7 or newer is needed, for its C++11 ABI")
endif()
if(EXISTS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/libtorch_cpu.so)
  message(FATAL_ERROR "Debian's libtorch-dev is installed: the linker would mix it with ${TANDEM_TORCH_DIR}. Remove it.")
endif()

if(LibTorch_FOUND AND NOT TARGET tandem::torch)
  add_library(tandem_torch INTERFACE)
  add_library(tandem::torch ALIAS tandem_torch)
  target_include_directories(tandem_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIR})
  target_link_libraries(tandem_torch INTERFACE ${TORCH_torch_cpu_LIBRARY} ${TORCH_c10_LIBRARY})
  if(TORCH_torch_cuda_LIBRARY)
    # Nothing refers to the CUDA library by name: keep the linker from dropping it. The wheel's own
    # libraries know where those of the nvidia-* packages are; the linker need not.
    target_link_libraries(tandem_torch INTERFACE -Wl,--push-state,--no-as-needed
      ${TORCH_torch_cuda_LIBRARY} ${TORCH_c10_cuda_LIBRARY} -Wl,--pop-state)
    target_link_options(tandem_torch INTERFACE -Wl,--allow-shlib-undefined)
  endif()
endif()
