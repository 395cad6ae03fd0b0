# Finds MuJoCo in the PyPI package `mujoco`, and the task models in the PyPI package `gymnasium`.
#   TANDEM_MUJOCO_DIR   folder that holds libmujoco.so.* and include/ (default: asked of TANDEM_PYTHON)
# Makes mujoco::mujoco and sets TANDEM_GYMNASIUM_ASSETS, the folder of Gymnasium's XML models.
if(NOT TANDEM_MUJOCO_DIR OR NOT TANDEM_GYMNASIUM_ASSETS)
  execute_process(
    COMMAND ${TANDEM_PYTHON} -c
      "import importlib.util as u, os; d = lambda m: os.path.dirname(u.find_spec(m).origin); print(d('mujoco') + ';' + os.path.join(d('gymnasium'), 'envs', 'mujoco', 'assets'))"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
  if(NOT failed)
    list(GET found 0 mujoco_dir)
    list(GET found 1 assets)
    set(TANDEM_MUJOCO_DIR ${mujoco_dir} CACHE PATH "Folder with libmujoco.so.* and include/")
    set(TANDEM_GYMNASIUM_ASSETS ${assets} CACHE PATH "Folder with Gymnasium's XML models")
  endif()
endif()

file(GLOB mujoco_libraries ${TANDEM_MUJOCO_DIR}/libmujoco.so*)
if(mujoco_libraries)
  list(GET mujoco_libraries 0 MUJOCO_LIBRARY)
endif()
find_path(MUJOCO_INCLUDE_DIR mujoco/mujoco.h PATHS ${TANDEM_MUJOCO_DIR}/include NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(MuJoCo
  REQUIRED_VARS MUJOCO_LIBRARY MUJOCO_INCLUDE_DIR TANDEM_GYMNASIUM_ASSETS
  REASON_FAILURE_MESSAGE "install the packages of packages/python.txt into .venv (./dev setup does it)")

if(MuJoCo_FOUND AND NOT TARGET mujoco::mujoco)
  add_library(mujoco::mujoco SHARED IMPORTED)
  set_target_properties(mujoco::mujoco PROPERTIES
    IMPORTED_LOCATION ${MUJOCO_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${MUJOCO_INCLUDE_DIR})
endif()
